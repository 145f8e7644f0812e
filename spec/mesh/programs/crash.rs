// Crashes in the way that its argument names.
mod shop {
    pub struct Repo;

    impl Repo {
        pub fn load(&self, list: &[i32], i: usize) -> i32 {
            list[i]
        }
    }
}

fn index() {
    let list = vec![1];
    let load = |i| shop::Repo.load(&list, i);
    println!("{}", load(std::env::args().count() + 7));
}

fn main() {
    match std::env::args().nth(1).unwrap().as_str() {
        "index" => index(),
        "none" => drop(std::env::args().nth(9).unwrap()),
        "err" => drop("x".parse::<i32>().unwrap()),
        "message" => panic!("no order\nof that name, 'a', b"),
        "assert" => assert_eq!(std::env::args().count(), 9),
        "divide" => println!("{}", 1 / (std::env::args().count() - 2)),
        "borrow" => {
            let cell = std::cell::RefCell::new(1);
            let _one = cell.borrow_mut();
            drop(cell.borrow_mut());
        }
        "thread" => drop(std::thread::Builder::new().name("w".into()).spawn(index).unwrap().join()),
        _ => std::process::exit(9),
    }
}

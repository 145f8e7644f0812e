package main

const fanOut = 10 // of trees of goroutines

// grow sends parent the sum of the numbers of the leaves under it, which are size ones from first on.
func grow(parent chan<- int, first, size int) {
	if size == 1 {
		parent <- first
		return
	}
	part := size / fanOut
	children := make(chan int)
	for i := 0; i < fanOut; i++ {
		go grow(children, first+i*part, part)
	}
	sum := 0
	for i := 0; i < fanOut; i++ {
		sum += <-children
	}
	parent <- sum
}

// skynet sums the numbers of n leaves, a power of ten, of a tree of goroutines.
func skynet(n int) (measurement, error) {
	var sum int
	run := func() {
		root := make(chan int)
		go grow(root, 0, n)
		sum = <-root
	}
	return timed(running, n, run, func() error { return expect("sum", sum, n*(n-1)/2) })
}

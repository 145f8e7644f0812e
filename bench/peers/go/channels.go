package main

// unbuffered sends n values to another goroutine, which sends them back.
func unbuffered(n int) (measurement, error) {
	var sum int
	run := func() {
		there, back := make(chan int), make(chan int)
		go func() {
			for value := range there {
				back <- value
			}
		}()
		sum = 0
		for i := 1; i <= n; i++ {
			there <- i
			sum += <-back
		}
		close(there)
	}
	return timed(n, run, func() error { return expect("sum", sum, n*(n+1)/2) })
}

// buffered sends n values through a channel with room for some.
func buffered(n int) (measurement, error) {
	var sum int
	run := func() {
		ch := make(chan int, channelCapacity)
		go func() {
			for i := 1; i <= n; i++ {
				ch <- i
			}
			close(ch)
		}()
		sum = 0
		for value := range ch {
			sum += value
		}
	}
	return timed(n, run, func() error { return expect("sum", sum, n*(n+1)/2) })
}

// selectOfEight receives n values from eight channels, each of which has a sender of its own.
func selectOfEight(n int) (measurement, error) {
	each := n / 8
	var sum int
	run := func() {
		start := func() <-chan int {
			ch := make(chan int)
			go func() {
				for k := 1; k <= each; k++ {
					ch <- k
				}
			}()
			return ch
		}
		a, b, c, d, e, f, g, h := start(), start(), start(), start(), start(), start(), start(), start()
		sum = 0
		for i := 0; i < 8*each; i++ {
			var value int
			select {
			case value = <-a:
			case value = <-b:
			case value = <-c:
			case value = <-d:
			case value = <-e:
			case value = <-f:
			case value = <-g:
			case value = <-h:
			}
			sum += value
		}
	}
	return timed(8*each, run, func() error { return expect("sum", sum, 8*(each*(each+1)/2)) })
}

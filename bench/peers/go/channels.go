package main

import (
	"runtime"
	"sync/atomic"
)

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

// wake sends values to n goroutines, each of which waits for a channel of its own, in the order of their numbers
// that arrange returns.
func wake(n int, arrange func(n int) []int) (measurement, error) {
	rounds := timesFor(n, leastWakes)
	var begun, received int64
	until := func(count *int64, wanted int) {
		for atomic.LoadInt64(count) < int64(wanted) {
			runtime.Gosched()
		}
	}
	channels := make([]chan int, n)
	for i := range channels {
		ch := make(chan int)
		channels[i] = ch
		go func() {
			atomic.AddInt64(&begun, 1)
			for range ch {
				atomic.AddInt64(&received, 1)
			}
		}()
	}
	until(&begun, n)
	order := arrange(n)
	w := watch{}
	w.start()
	for round := 1; round <= rounds; round++ {
		for i, place := range order {
			channels[place] <- i
		}
		until(&received, round*n)
	}
	w.stop()
	for _, ch := range channels {
		close(ch)
	}
	return w.result(rounds * n)
}

package main

import "sync"

// deep panics under so many frames of its own.
//
//go:noinline
func deep(frames int) int {
	if frames <= 1 {
		panic("x")
	}
	return deep(frames-1) + 1
}

// panics recovers from panics through n frames. They are bare ones: Go writes down no stack unless it is asked.
func panics(n int) (measurement, error) {
	times := timesFor(n+10, leastOperations)
	recovered := 0
	rescue := func() {
		if recover() == "x" {
			recovered++
		}
	}
	frame := func() {
		defer rescue()
		deep(n)
	}
	run := func() {
		for i := 0; i < times; i++ {
			frame()
		}
	}
	return timed(times, run, func() error { return expect("recovered", recovered, 2*times) })
}

const batch = 100 // goroutines alive at a time

// panicsInGoroutines is the same, each panic in a goroutine of its own.
func panicsInGoroutines(n int) (measurement, error) {
	batches := timesFor(n+10, leastOperations) / batch
	recovered := 0
	run := func() {
		var alive sync.WaitGroup
		task := func() {
			defer alive.Done()
			defer func() {
				if recover() == "x" {
					recovered++
				}
			}()
			deep(n)
		}
		for i := 0; i < batches; i++ {
			alive.Add(batch)
			for k := 0; k < batch; k++ {
				go task()
			}
			alive.Wait()
		}
	}
	return timed(batches*batch, run, func() error { return expect("recovered", recovered, 2*batches*batch) })
}

// panicsReceived begins goroutines that panic, and sends what they recover to who began them.
func panicsReceived(n int) (measurement, error) {
	times := timesFor(n+10, leastOperations)
	received := 0
	run := func() {
		for i := 0; i < times; i++ {
			values := make(chan any)
			go func() {
				defer func() { values <- recover() }()
				deep(n)
			}()
			if <-values == "x" {
				received++
			}
		}
	}
	return timed(times, run, func() error { return expect("panics received", received, 2*times) })
}

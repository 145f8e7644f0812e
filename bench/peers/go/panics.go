package main

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

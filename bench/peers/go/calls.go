package main

// guarded runs f so that a panic of it ends here.
//
//go:noinline
func guarded(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// calls makes n calls that a panic would not get out of, as pcall's. A co.func has a frame in which functions
// can be deferred, and that a panic is recovered in; a function of Go has what is like it only once it defers,
// so this one defers a function that recovers. A call which defers nothing would time a bare call.
func calls(n int) (measurement, error) {
	count := 0
	f := func() { count++ }
	run := func() {
		for i := 0; i < n; i++ {
			guarded(f)
		}
	}
	return timed(n, run, func() error { return expect("calls", count, 2*n) })
}

// defers defers n calls, many in a frame.
func defers(n int) (measurement, error) {
	frames := n / deferredAFrame
	count := 0
	release := func() { count++ }
	frame := func() {
		for i := 0; i < deferredAFrame; i++ {
			defer release()
		}
	}
	run := func() {
		for i := 0; i < frames; i++ {
			frame()
		}
	}
	return timed(frames*deferredAFrame, run, func() error {
		return expect("deferred calls", count, 2*frames*deferredAFrame)
	})
}

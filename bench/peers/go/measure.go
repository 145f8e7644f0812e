package main

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

// What measure.lua is for the peers in Lua, whose numbers these are.
const (
	leastOperations = 2_000_000 // that are timed: enough to see microseconds of the clock as nothing
	leastLocks      = 400_000   // the same of a mutex
	leastWakes      = 400_000   // values sent to goroutines that wait
	leastEndings    = 50_000    // goroutines that are ended together
	channelCapacity = 100       // of the buffered channel
	generation      = 100       // goroutines alive at a time while spawning is timed
	deferredAFrame  = 100
	churn           = 100_000 // goroutines that come and go beside parked ones
)

// measurement is what a workload hands to the orchestrator.
type measurement struct {
	Operations int      `json:"operations"`
	Seconds    *float64 `json:"seconds,omitempty"`
	Bytes      *int64   `json:"bytes,omitempty"`
}

// modulus is that of Park and Miller's minimal standard, whose numbers are the same each time.
const modulus = 2147483647

// shuffled returns the numbers from 0 on in an order that has nothing to do with them.
func shuffled(n int) []int {
	order, state := inOrder(n), 1
	for i := n - 1; i > 0; i-- {
		state = state * 16807 % modulus
		k := state % (i + 1)
		order[i], order[k] = order[k], order[i]
	}
	return order
}

// inOrder returns the numbers from 0 on.
func inOrder(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

// timesFor returns how often to repeat what does perRound operations, so that there are at least as many as
// wanted: twice or more.
func timesFor(perRound, wanted int) int {
	if times := wanted / perRound; times > 2 {
		return times
	}
	return 2
}

// processorTime is what the process has computed so far, on all its threads: waiting for timers does not
// count, nor what other programs do meanwhile. What the collector does beside the workload counts.
func processorTime() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// collectorStopped says that no garbage is collected while a watch runs.
var collectorStopped bool

// watch is a stop-watch, for what only a part of is to be timed. It may be started again, and adds up.
type watch struct {
	percent int // of the collector, as it was
	began   time.Duration
	elapsed time.Duration
	err     error // of the clock
}

// start starts from a heap without garbage.
func (w *watch) start() {
	w.collect()
	w.begin()
}

// collect is the first half of start, for whom others would not let finish in time: collecting gives way often.
func (w *watch) collect() {
	runtime.GC()
	if collectorStopped {
		w.percent = debug.SetGCPercent(-1)
	}
}

// begin is the second half of start.
func (w *watch) begin() { w.began = w.now() }

func (w *watch) stop() {
	w.elapsed += w.now() - w.began
	if collectorStopped {
		debug.SetGCPercent(w.percent)
	}
}

func (w *watch) now() time.Duration {
	now, err := processorTime()
	if err != nil {
		w.err = err
	}
	return now
}

// result is the answer of a workload that has timed so many operations.
func (w *watch) result(operations int) (measurement, error) {
	if operations == 0 {
		return measurement{}, errors.New("too small to do anything")
	}
	seconds := w.elapsed.Seconds()
	return measurement{Operations: operations, Seconds: &seconds}, w.err
}

// timed times one call of run, after one that warms up, and lets check look at what both came to.
func timed(operations int, run func(), check func() error) (measurement, error) {
	run()
	w := watch{}
	w.start()
	run()
	w.stop()
	if err := check(); err != nil {
		return measurement{}, err
	}
	return w.result(operations)
}

// expect returns an error when a workload has come to something else than it was meant to.
func expect(what string, got, want int) error {
	if got != want {
		return fmt.Errorf("%s: %d, and not %d", what, got, want)
	}
	return nil
}

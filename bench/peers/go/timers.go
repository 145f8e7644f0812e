package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// perTimer is how much longer the shortest delay is with each timer, so that all are inserted before the first
// fires.
const perTimer = 8 * time.Microsecond

// delays returns n of them in no order, the same each time and as the peers in Lua have them.
func delays(n int) []time.Duration {
	all, state := make([]time.Duration, n), 1
	shortest := float64(n) * float64(perTimer)
	for i := range all {
		state = state * 16807 % modulus
		all[i] = time.Duration(shortest * (1 + 0.1*float64(state)/modulus))
	}
	return all
}

// tally counts how n waits ended.
type tally struct {
	fired, cancelled int64
}

// wait lets a goroutine for each delay wait for an event with a time-out. The event of one half comes, so their
// timers are cancelled; those of the other half fire.
func (t *tally) wait(delays []time.Duration, w *watch) {
	n := len(delays)
	start, half, never := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var begun, inserted, ended sync.WaitGroup
	begun.Add(n)
	inserted.Add(n)
	ended.Add(n)
	for i, delay := range delays {
		event := never
		if i%2 == 1 {
			event = half
		}
		go func(event chan struct{}, delay time.Duration) {
			defer ended.Done()
			begun.Done()
			<-start
			timer := time.NewTimer(delay)
			inserted.Done()
			select {
			case <-event:
				timer.Stop()
				atomic.AddInt64(&t.cancelled, 1)
			case <-timer.C:
				atomic.AddInt64(&t.fired, 1)
			}
		}(event, delay)
	}
	begun.Wait()
	w.start()
	close(start)
	inserted.Wait()
	close(half)
	ended.Wait()
	w.stop()
}

// timers inserts n timers, cancels half of them, and waits until the rest have fired.
func timers(n int) (measurement, error) {
	const enough = 50_000 // timers in all, inserted as often as that takes
	repeats := enough / n
	if repeats == 0 {
		repeats = 1
	}
	(&tally{}).wait(delays(1000), &watch{}) // warms up
	all := delays(n)
	var t tally
	w := watch{}
	for i := 0; i < repeats; i++ {
		t.wait(all, &w)
	}
	if err := expect("fired", int(t.fired), repeats*(n-n/2)); err != nil {
		return measurement{}, err
	}
	if err := expect("cancelled", int(t.cancelled), repeats*(n/2)); err != nil {
		return measurement{}, err
	}
	return w.result(repeats * n)
}

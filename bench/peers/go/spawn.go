package main

import (
	"sync"
	"sync/atomic"
)

// generations begins and ends n goroutines, a generation after the other, and returns how many there were.
func generations(n int) int {
	var ended int64
	var alive sync.WaitGroup
	task := func() {
		atomic.AddInt64(&ended, 1)
		alive.Done()
	}
	for i := 0; i < n/generation; i++ {
		alive.Add(generation)
		for k := 0; k < generation; k++ {
			go task()
		}
		alive.Wait()
	}
	return int(ended)
}

// spawn begins and ends n goroutines.
func spawn(n int) (measurement, error) {
	ended := 0
	run := func() { ended += generations(n) }
	return timed(n, run, func() error { return expect("goroutines that ended", ended, 2*n) })
}

// waiting begins n goroutines that wait, and returns what lets them go on.
func waiting(n int) (leave func()) {
	var begun, ended sync.WaitGroup
	begun.Add(n)
	ended.Add(n)
	gate := make(chan struct{})
	for i := 0; i < n; i++ {
		go func() {
			begun.Done()
			<-gate
			ended.Done()
		}()
	}
	begun.Wait()
	return func() {
		close(gate)
		ended.Wait()
	}
}

// spawnCold begins n goroutines of which none ends before all have begun.
func spawnCold(n int) (measurement, error) {
	w := watch{}
	w.start()
	leave := waiting(n)
	w.stop()
	leave()
	return w.result(n)
}

// spawnBesideParked begins and ends goroutines while n others wait.
func spawnBesideParked(n int) (measurement, error) {
	leave := waiting(n)
	w := watch{}
	w.start()
	ended := generations(churn)
	w.stop()
	leave()
	if err := expect("goroutines that ended", ended, churn); err != nil {
		return measurement{}, err
	}
	return w.result(churn)
}

package main

import (
	"sync"
	"sync/atomic"
)

// spawn begins and ends n goroutines, a generation after the other.
func spawn(n int) (measurement, error) {
	generations := n / generation
	var ended int64
	run := func() {
		var alive sync.WaitGroup
		task := func() {
			atomic.AddInt64(&ended, 1)
			alive.Done()
		}
		for i := 0; i < generations; i++ {
			alive.Add(generation)
			for k := 0; k < generation; k++ {
				go task()
			}
			alive.Wait()
		}
	}
	return timed(stopped, generations*generation, run, func() error {
		return expect("goroutines that ended", int(ended), 2*generations*generation)
	})
}

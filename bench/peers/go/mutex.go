package main

import (
	"runtime"
	"sync"
)

// mutex lets n goroutines lock the same mutex and give way while they hold it. A sync.Mutex does not hand
// itself over as those of the others do: who unlocks it may have it again at once, until somebody has waited
// for a millisecond. It is what one uses, so it is what is timed.
func mutex(n int) (measurement, error) {
	times := timesFor(n, leastLocks)
	var count int
	run := func() {
		count = 0
		var lock sync.Mutex
		var ended sync.WaitGroup
		ended.Add(n)
		for i := 0; i < n; i++ {
			go func() {
				defer ended.Done()
				for k := 0; k < times; k++ {
					lock.Lock()
					before := count
					runtime.Gosched()
					count = before + 1
					lock.Unlock()
				}
			}()
		}
		ended.Wait()
	}
	return timed(n*times, run, func() error { return expect("times locked", count, n*times) })
}

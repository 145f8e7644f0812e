package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// What the goroutines that switch are told; each looks whenever it runs again.
const (
	warmingUp int32 = iota
	counting
	ending
)

// switches lets n goroutines, of which this is one, give way to each other; an operation is a Gosched that has
// returned. Go's queue is not strictly first come, first served: a goroutine at its head now and then
// overtakes those that a processor has already taken from it. So each counts its own turns, and the operations
// are those that were had, of which there are about rounds for each. The goroutines are woken in the order of
// their numbers that arrange returns, and first come to run in it.
func switches(n int, arrange func(n int) []int) (measurement, error) {
	rounds := timesFor(n, leastOperations)
	var phase int32
	var waiting, begun, idle, turns int64
	gates := make([]chan struct{}, n)
	var ended sync.WaitGroup
	ended.Add(n - 1)
	for i := 1; i < n; i++ {
		gate := make(chan struct{})
		gates[i] = gate
		go func() {
			defer ended.Done()
			atomic.AddInt64(&waiting, 1)
			<-gate
			atomic.AddInt64(&begun, 1)
			own := 0
			for {
				runtime.Gosched()
				now := atomic.LoadInt32(&phase)
				if now == ending {
					break
				}
				if now == counting {
					own++
				}
			}
			atomic.AddInt64(&turns, int64(own))
			if own == 0 {
				atomic.AddInt64(&idle, 1)
			}
		}()
	}
	w := watch{}
	for atomic.LoadInt64(&waiting) < int64(n-1) {
		runtime.Gosched()
	}
	w.collect()
	for _, i := range arrange(n) {
		if i > 0 { // this goroutine
			close(gates[i])
		}
	}
	for atomic.LoadInt64(&begun) < int64(n-1) {
		runtime.Gosched()
	}
	w.begin()
	atomic.StoreInt32(&phase, counting)
	for i := 0; i < rounds; i++ {
		runtime.Gosched()
	}
	w.stop()
	atomic.StoreInt32(&phase, ending)
	ended.Wait()
	if err := expect("goroutines that had no turn", int(idle), 0); err != nil {
		return measurement{}, err
	}
	operations := rounds + int(turns)
	if all := n * rounds; operations < all/2 || operations > 2*all {
		return measurement{}, fmt.Errorf("turns: %d, and not about %d", operations, all)
	}
	return w.result(operations)
}

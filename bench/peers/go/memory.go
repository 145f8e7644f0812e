package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
)

// park begins n goroutines that wait for ever.
func park(n int) error {
	before := runtime.NumGoroutine()
	var begun sync.WaitGroup
	begun.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			begun.Done()
			select {}
		}()
	}
	begun.Wait()
	return expect("parked goroutines", runtime.NumGoroutine()-before, n)
}

// grown is how much more size says once n goroutines are parked.
func grown(n int, size func() (int64, error)) (measurement, error) {
	before, err := size()
	if err != nil {
		return measurement{}, err
	}
	if err := park(n); err != nil {
		return measurement{}, err
	}
	after, err := size()
	bytes := after - before
	if err == nil && bytes <= 0 {
		err = fmt.Errorf("bytes: %d", bytes)
	}
	return measurement{Operations: n, Bytes: &bytes}, err
}

// allocated returns the bytes of the heap, without garbage, and of stacks.
func allocated() (int64, error) {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc + stats.StackInuse), nil
}

// resident returns the bytes of memory that the process occupies, as Linux tells it; without garbage.
func resident() (int64, error) {
	runtime.GC()
	file, err := os.Open("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var size, pages int64
	if _, err := fmt.Fscan(file, &size, &pages); err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}

func memory(n int) (measurement, error) { return grown(n, allocated) }

func memoryResident(n int) (measurement, error) { return grown(n, resident) }

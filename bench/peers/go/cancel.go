package main

import (
	"context"
	"sync"
	"sync/atomic"
)

// forest counts the goroutines of a tree.
type forest struct {
	begun sync.WaitGroup
	ended int64
}

// tree is a goroutine of a tree with size leaves. All but the leaves have a context of their own, as tasks of
// coropanic have a scope, in which they begin more and wait for them; a leaf waits until its parent's is
// cancelled.
func (f *forest) tree(parent context.Context, size int) {
	defer atomic.AddInt64(&f.ended, 1)
	f.begun.Done()
	if size == 1 {
		<-parent.Done()
		return
	}
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	var children sync.WaitGroup
	children.Add(fanOut)
	for i := 0; i < fanOut; i++ {
		go func() {
			defer children.Done()
			f.tree(ctx, size/fanOut)
		}()
	}
	children.Wait()
}

// cancelTree cancels the root of a tree of goroutines with n leaves, and waits until all of them have ended.
func cancelTree(n int) (measurement, error) {
	if err := wholeTree(n); err != nil {
		return measurement{}, err
	}
	total := (n*fanOut - 1) / (fanOut - 1)
	once := func() (*watch, error) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var f forest
		f.begun.Add(total)
		var root sync.WaitGroup
		root.Add(1)
		go func() {
			defer root.Done()
			f.tree(ctx, n)
		}()
		f.begun.Wait()
		w := &watch{}
		w.start()
		cancel()
		root.Wait()
		w.stop()
		return w, expect("goroutines that ended", int(f.ended), total)
	}
	if _, err := once(); err != nil { // warms up
		return measurement{}, err
	}
	w, err := once()
	if err != nil {
		return measurement{}, err
	}
	return w.result(total)
}

// cancel ends n goroutines, which wait for the same context, by cancelling it.
func cancel(n int) (measurement, error) {
	times := leastEndings / n
	if times == 0 {
		times = 1
	}
	w := watch{}
	var ended int64
	for i := 0; i < times; i++ {
		ctx, end := context.WithCancel(context.Background())
		var begun, alive sync.WaitGroup
		begun.Add(n)
		alive.Add(n)
		for k := 0; k < n; k++ {
			go func() {
				defer alive.Done()
				defer atomic.AddInt64(&ended, 1)
				begun.Done()
				<-ctx.Done()
			}()
		}
		begun.Wait()
		w.start()
		end()
		alive.Wait()
		w.stop()
	}
	if err := expect("goroutines that ended", int(ended), times*n); err != nil {
		return measurement{}, err
	}
	return w.result(times * n)
}

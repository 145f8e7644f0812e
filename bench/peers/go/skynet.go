package main

import "fmt"

const fanOut = 10 // of trees of goroutines

// wholeTree returns an error unless n leaves make a tree in which nobody has fewer children than others.
func wholeTree(n int) error {
	size := n
	for size%fanOut == 0 {
		size /= fanOut
	}
	if size != 1 {
		return fmt.Errorf("leaves: %d, which is no power of %d", n, fanOut)
	}
	return nil
}

// grow sends parent the sum of the numbers of the leaves under it, which are size ones from first on.
func grow(parent chan<- int, first, size int) {
	if size == 1 {
		parent <- first
		return
	}
	part := size / fanOut
	children := make(chan int)
	for i := 0; i < fanOut; i++ {
		go grow(children, first+i*part, part)
	}
	sum := 0
	for i := 0; i < fanOut; i++ {
		sum += <-children
	}
	parent <- sum
}

// skynet sums the numbers of n leaves of a tree of goroutines.
func skynet(n int) (measurement, error) {
	if err := wholeTree(n); err != nil {
		return measurement{}, err
	}
	var sum int
	run := func() {
		root := make(chan int)
		go grow(root, 0, n)
		sum = <-root
	}
	return timed(n, run, func() error { return expect("sum", sum, n*(n-1)/2) })
}

//go:build race

package wal_test

// stride thins out the exhaustive tests under the race detector, which makes them
// ten times slower and has nothing to find in a package without goroutines. Without
// it they leave nothing out.
const stride = 7

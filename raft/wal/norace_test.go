//go:build !race

package wal_test

// stride thins out the exhaustive tests: here it does not.
const stride = 1

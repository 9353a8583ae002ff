// Package replicas holds the tests of many centrals on one database: one household
// for a TID whichever of them is asked, changes that reach all of them, the loss of
// the database's primary.
package replicas

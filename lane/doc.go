// Package lane is one checkout lane: the loop that turns scans and swipes into
// baskets, finds out whose they are while the sale goes on, and hands them to
// the shop's POS main computer.
package lane

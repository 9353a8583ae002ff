package opener

import (
	"crypto/aes"
	"crypto/cipher"
	"testing"
	"time"

	"posd/enctid"
)

// BenchmarkOpen compares opening by a known epoch with the bare AES-GCM inside
// it: the metric "x-bare" is their ratio.
func BenchmarkOpen(b *testing.B) {
	k := newKey(b, 7)
	o := newOpener(b, 2, k)
	short, long := sealOne(b, k, lane7)
	if _, err := o.Open(long, lane7, context); err != nil {
		b.Fatal(err)
	}
	bare := bareOpen(b)
	const rounds = 50_000
	start := time.Now()
	for range rounds {
		bare()
	}
	bareNS := float64(time.Since(start).Nanoseconds()) / rounds
	b.ReportAllocs()
	for b.Loop() {
		t, err := o.Open(short, lane7, context)
		if err != nil {
			b.Fatal(err)
		}
		t.Wipe()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/bareNS, "x-bare")
}

// bareOpen is AES-256-GCM alone, on a message of the same size.
func bareOpen(b *testing.B) func() {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		b.Fatal(err)
	}
	aad := enctid.AppendAAD(nil, 7, enctid.EpochID{}, lane7, context)
	box := aead.Seal(nil, nil, make([]byte, enctid.PlaintextSize), aad)
	dst := make([]byte, 0, enctid.PlaintextSize)
	return func() {
		if _, err := aead.Open(dst, nil, box, aad); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenBare is what x-bare is measured against.
func BenchmarkOpenBare(b *testing.B) {
	bare := bareOpen(b)
	b.ReportAllocs()
	for b.Loop() {
		bare()
	}
}

// BenchmarkOpenNewEpoch is an EncTID that brings its enc.
func BenchmarkOpenNewEpoch(b *testing.B) {
	k := newKey(b, 7)
	o := newOpener(b, 2, k)
	_, long := sealOne(b, k, lane7)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := o.Open(long, lane7, context); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenParallel is one lane asked for by all processors at once.
func BenchmarkOpenParallel(b *testing.B) {
	k := newKey(b, 7)
	o := newOpener(b, 2, k)
	short, long := sealOne(b, k, lane7)
	if _, err := o.Open(long, lane7, context); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := o.Open(short, lane7, context); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

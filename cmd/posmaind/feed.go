package main

import (
	"context"
	"sync"
	"time"

	"posd/central"
	"posd/enroll"
)

// centralFeed asks central for changes, always with the newest certificate and at the
// newest address.
type centralFeed struct {
	credentials enroll.Source

	mu     sync.Mutex
	client *central.Client
	own    *enroll.Credentials // that client was made with
}

// current is a client with the credentials of now.
func (f *centralFeed) current() (*central.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	own := f.credentials.Current()
	if own == f.own {
		return f.client, nil
	}
	client, err := central.NewClient(own.OperationsURL, enroll.ClientConfig(own, enroll.Name{Role: enroll.Central}))
	if err != nil {
		return nil, err
	}
	if f.client != nil {
		f.client.Close()
	}
	f.client, f.own = client, own
	return client, nil
}

// Changes asks for a page of changes.
func (f *centralFeed) Changes(ctx context.Context, feed string, after uint64, wait time.Duration) (central.Changes, error) {
	client, err := f.current()
	if err != nil {
		return central.Changes{}, err
	}
	page, err := client.Changes(ctx, feed, after, wait)
	if err != nil {
		err = enroll.Explain(err, f.credentials.Current())
	}
	return page, err
}

// Acknowledge says that changes are done with.
func (f *centralFeed) Acknowledge(ctx context.Context, ack central.Ack) error {
	client, err := f.current()
	if err != nil {
		return err
	}
	return client.Acknowledge(ctx, ack)
}

// Close ends the connections.
func (f *centralFeed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.client != nil {
		f.client.Close()
	}
}

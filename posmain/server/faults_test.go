package server_test

import (
	"context"
	"errors"
	"fmt"

	"posd/posmain"
	"posd/posmain/server"
	"posd/sqldb"
)

// full is a log on a disk without room.
type full struct{ server.Store }

func (full) Log(context.Context, server.Delivery) (posmain.Receipt, error) {
	return posmain.Receipt{}, fmt.Errorf("write log.db: %w", sqldb.ErrFull)
}

// broken is a log that cannot even be read.
type broken struct{ server.Store }

func (broken) Log(context.Context, server.Delivery) (posmain.Receipt, error) {
	return posmain.Receipt{}, errors.New("disk I/O error")
}

func (broken) LogID(context.Context) (string, error) { return "", errors.New("disk I/O error") }

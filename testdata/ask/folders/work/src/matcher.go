// Package matcher pairs bank transactions with shop orders.
package matcher

import (
	"errors"
	"time"
)

// maxAge is how long an order waits for its payment before it is called stale.
const maxAge = 45 * 24 * time.Hour

// ErrAmbiguous is returned when two orders fit one transaction equally well.
var ErrAmbiguous = errors.New("matcher: more than one order fits")

// Transaction is one line of a bank statement.
type Transaction struct {
	Cents     int64
	Reference string
	Booked    time.Time
}

// Order is what a customer owes.
type Order struct {
	Number  string
	Cents   int64
	Created time.Time
}

// Match finds the order that a transaction pays. The reference is looked at first; only when it holds no order number
// are the amounts compared. Refunds have negative amounts and are skipped.
func Match(tx Transaction, orders []Order, toleranceCents int64) (*Order, error) {
	if tx.Cents < 0 {
		return nil, nil
	}
	for i := range orders {
		if orders[i].Number == tx.Reference {
			return &orders[i], nil
		}
	}
	var found *Order
	for i := range orders {
		difference := orders[i].Cents - tx.Cents
		if difference < 0 {
			difference = -difference
		}
		if difference <= toleranceCents && tx.Booked.Sub(orders[i].Created) < maxAge {
			if found != nil {
				return nil, ErrAmbiguous
			}
			found = &orders[i]
		}
	}
	return found, nil
}

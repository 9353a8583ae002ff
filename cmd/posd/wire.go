package main

import (
	"posd/drivers"
	"posd/drivers/driver"
	"posd/lane"
	"posd/lane/api"
	"posd/msr"
)

// offer hands readings to the lane, which wipes the numbers of those that it
// does not take, too.
func offer(l *lane.Lane) drivers.Sink {
	return func(r driver.Reading) bool { return l.Offer(frameOf(r)) }
}

// frameOf puts a driver's reading in the lane's terms.
func frameOf(r driver.Reading) lane.Frame {
	f := lane.Frame{Device: r.Device, At: r.At, Ack: r.Ack}
	switch r.Type {
	case driver.Scan:
		f.Scan = &r.Scan
	case driver.Swipe:
		f.Swipe = &r.Swipe
	case driver.Encrypted: // nobody can open it yet
		f.Fault = &lane.Fault{Code: r.Swipe.Code, Reason: r.Swipe.Reason}
		r.Swipe.Wipe()
	case driver.Key:
		f.Key = keyOf(r.Key)
	default:
		f.Fault = &lane.Fault{Code: r.Err.Code, Reason: r.Err.Reason}
	}
	return f
}

func keyOf(k msr.EntryKind) lane.Key {
	switch k {
	case msr.EntryClose:
		return lane.KeyClose
	case msr.EntryTimeout:
		return lane.KeyTimeout
	}
	return lane.KeyClear
}

// devicesOf puts the devices in the API's terms.
func devicesOf(m *drivers.Manager) []api.Device {
	var devices []api.Device
	for _, s := range m.Status() {
		stats := s.Statistics
		devices = append(devices, api.Device{
			Name: s.Name, Role: string(s.Role), Driver: s.Driver, ID: s.ID, Port: s.Port, Product: s.Product, Adopted: s.Adopted,
			State: string(s.State), Reason: s.Reason, Remedy: s.Remedy,
			Good: stats.Good(), Errors: stats.Errors(), Dropped: stats.Dropped, Unsent: stats.Unsent,
			Since: stats.Since, LastRead: stats.LastRead, Statistics: stats.Counts, Refusals: stats.Refusals,
		})
	}
	return devices
}

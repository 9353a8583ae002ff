package main

import (
	"posd/drivers"
	"posd/lane"
	"posd/lane/api"
	"posd/msr"
)

// offer hands readings to the lane, which wipes the numbers of those that it
// does not take, too.
func offer(l *lane.Lane) drivers.Sink {
	return func(r drivers.Reading) bool { return l.Offer(frameOf(r)) }
}

// frameOf puts a driver's reading in the lane's terms.
func frameOf(r drivers.Reading) lane.Frame {
	f := lane.Frame{Device: r.Device, At: r.At, Scan: r.Scan, Swipe: r.Swipe, Ack: r.Ack}
	switch {
	case r.Err != nil:
		f.Fault = &lane.Fault{Code: r.Err.Code, Reason: r.Err.Reason}
	case r.Key == nil:
	case r.Key.Kind == msr.EntryClose:
		f.Key = lane.KeyClose
	case r.Key.Kind == msr.EntryTimeout:
		f.Key = lane.KeyTimeout
	default:
		f.Key = lane.KeyClear
	}
	return f
}

// devicesOf puts the devices in the API's terms.
func devicesOf(m *drivers.Manager) []api.Device {
	var devices []api.Device
	for _, s := range m.Status() {
		devices = append(devices, api.Device{
			Name: s.Name, Role: s.Role, Driver: s.Driver, Port: s.Port, State: string(s.State), Reason: s.Reason, Remedy: s.Remedy,
			Good: s.Good, Errors: s.Errors, Dropped: s.Dropped, LastRead: s.LastRead,
		})
	}
	return devices
}

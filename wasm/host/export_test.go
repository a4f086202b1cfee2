package host

// EmptyCall crosses into the guest and back and does nothing there.
func (s *Scheduler) EmptyCall() error {
	_, _, err := s.active.call(s.active.inst.ExportedFunction("strategy_abi_v1"), smallCallFuel)
	return err
}

// Resting reports that the module is not in memory.
func (d *OnDemand) Resting() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.module == nil
}

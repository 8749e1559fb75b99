package proxylite

// RetryBudget returns how many retries are left in the budget that all calls of the
// client share, for metrics; see [RetryPolicy.Budget]. limited is false if the budget
// has no limit.
func (c *Client) RetryBudget() (left int, limited bool) {
	b := c.budget
	if b == nil {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill()
	return int(b.tokens / retryCost), true
}

package redisstore

// WithoutHold hands out at once after a loss of data.
func (s *Store) WithoutHold() { s.noHold = true }

// WithoutFence lets members fetch at the same time.
func (s *Store) WithoutFence() { s.noFence = true }

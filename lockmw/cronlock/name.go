package cronlock

// Name returns the job's name, as it was given to [Runner.Job].
func (j *Job) Name() string { return j.name }

// Key returns the key of the job's state in Redis. It has a hash of the job's
// name.
func (j *Job) Key() string { return j.key }

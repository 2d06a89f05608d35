package cronlock

// Name is the job's, as it was given to [Runner.Job].
func (j *Job) Name() string { return j.name }

// Key is the job's hash in Redis, in whose name the job's own is hashed.
func (j *Job) Key() string { return j.key }

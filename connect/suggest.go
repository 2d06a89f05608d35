package connect

// suggest returns the name most like word, or "" if none is within two edits.
func suggest(word string, names []string) string {
	best, bestAt := "", 3
	for _, name := range names {
		if d := edits(word, name); d < bestAt && d < len(name) {
			best, bestAt = name, d
		}
	}
	return best
}

// edits is the Levenshtein distance of a and b. It is 3 for words whose lengths
// differ by more than two, which are too far apart to compute.
func edits(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

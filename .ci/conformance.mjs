// Runs http-cache-tests and compares. Arguments: the package's directory, the
// URL of the proxy, the file of outcomes.
import fs from 'fs'
import { createRequire } from 'module'
import path from 'path'
import process from 'process'

const [dir, base, file] = process.argv.slice(2)
const load = name => import(path.join(dir, name))
const fetch = createRequire(path.join(dir, 'package.json'))('node-fetch')
const { runTests, getResults } = await load('client/runner.mjs')
const tests = (await load('tests/index.mjs')).default

for (let i = 0; ; i++) { // until the proxy and its origin answer
  try {
    await fetch(base + '/')
    break
  } catch (err) {
    if (i > 100) throw err
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}
await runTests(tests, fetch, false, base)
const results = getResults()
const outcomes = new Map()
const byKind = {}
for (const suite of tests) {
  for (const test of suite.tests) {
    if (test.browser_only) continue
    const kind = test.kind || 'required'
    const outcome = results[test.id] === true ? 'pass' : 'fail'
    outcomes.set(test.id, `${kind} ${outcome}`)
    byKind[kind] = byKind[kind] || { pass: 0, fail: 0 }
    byKind[kind][outcome]++
  }
}
for (const [kind, n] of Object.entries(byKind)) console.log(`conformance: ${kind}: ${n.pass} of ${n.pass + n.fail} pass`)
const lines = [...outcomes].map(([id, outcome]) => `${outcome} ${id}`).sort()
if (process.env.UPDATE) {
  fs.writeFileSync(file, lines.join('\n') + '\n')
  process.exit(0)
}
let worse = 0
for (const line of fs.readFileSync(file, 'utf8').trim().split('\n')) {
  const [kind, was, id] = line.split(' ')
  const now = outcomes.get(id)
  if (now === `${kind} ${was}` || kind === 'check') continue
  if (was === 'pass') {
    worse++
    console.log(`conformance: ${id} passed and fails now: ${JSON.stringify(results[id])}`)
  } else {
    console.log(`conformance: ${id} failed and passes now: run UPDATE=1 make conformance`)
  }
}
process.exit(worse === 0 ? 0 : 1)

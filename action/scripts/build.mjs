// Bundles src/main.ts with all it needs into dist/index.mjs, and the licences of what is in it into dist/licenses.txt.
// With --check it fails when what is committed differs from what the sources give.
import { readFileSync, readdirSync, mkdirSync, writeFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const result = await build({
  absWorkingDir: root,
  entryPoints: ['src/main.ts'],
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  // Some of the packages are CommonJS.
  banner: { js: "import { createRequire as bundleRequire } from 'node:module';const require = bundleRequire(import.meta.url);" },
  metafile: true,
  alias: { 'unzip-stream': './scripts/absent.cjs' },
  write: false,
  outfile: 'dist/index.mjs',
  logLevel: 'warning'
})

/** The packages of which code is in the bundle, by the folders of its inputs. */
function bundledPackages(inputs) {
  const folders = new Set()
  for (const path of Object.keys(inputs)) {
    const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)
    if (found !== null) folders.add(found[1])
  }
  return [...folders].sort()
}

function licenseOf(folder) {
  const about = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const name = readdirSync(join(root, folder)).find((file) => /^(licen[cs]e|copying)/i.test(file))
  const text = name === undefined ? '(the package has no file of its licence)' : readFileSync(join(root, folder, name), 'utf8')
  if (about.license === undefined) throw new Error(`${folder} names no licence`)
  return `${about.name} ${about.version}: ${about.license}\n\n${text.replaceAll('\r\n', '\n').trim()}\n`
}

const licenses = bundledPackages(result.metafile.inputs).map(licenseOf).join(`\n${'-'.repeat(80)}\n\n`)
const made = { 'index.mjs': result.outputFiles[0].text, 'licenses.txt': licenses }
const dist = join(root, 'dist')
if (process.argv.includes('--check')) {
  for (const [name, text] of Object.entries(made)) {
    const path = join(dist, name)
    if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
      console.error(`error: ${path} is not what the sources give: run \`npm run build\` in ${root} and commit it`)
      process.exitCode = 1
    }
  }
} else {
  mkdirSync(dist, { recursive: true })
  for (const [name, text] of Object.entries(made)) writeFileSync(join(dist, name), text)
  console.log(`dist/index.mjs: ${Math.round(made['index.mjs'].length / 1024)} KiB`)
}

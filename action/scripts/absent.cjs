// Stands for unzip-stream in the bundle: @actions/artifact needs it to download artifacts, which this action never does, and
// one of its dependencies names no licence.
exports.Extract = () => {
  throw new Error('this action downloads no artifacts')
}

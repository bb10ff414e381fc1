// The configuration file, and the annotations laid over it. Input: TOML, then a NUL, then lines of
// "name=value".

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "shim/config/annotations.h"
#include "shim/config/load.h"
#include "shim/config/sizing.h"

namespace {

using namespace coffer::shim;  // NOLINT(google-build-using-namespace): a fuzz target

std::map<std::string, std::string> annotations_of(std::string_view text) {
  std::map<std::string, std::string> annotations;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t equals = std::min(line.find('='), line.size());
    annotations[std::string(line.substr(0, equals))] =
        line.substr(std::min(equals + 1, line.size()));
  }
  return annotations;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = coffer::as_text({data, size});
  const std::size_t end = std::min(text.find('\0'), text.size());
  const auto loaded = parse_config(text.substr(0, end), "fuzz.toml");
  if (!loaded) return 0;
  coffer::check(loaded->warnings.size() <= 100, "warnings are bounded");
  (void)validate(loaded->config);
  (void)resolve_tee(loaded->config.hypervisor, {.snp = true, .tdx = false});
  const auto annotations = annotations_of(text.substr(std::min(end + 1, text.size())));
  const auto out = apply_annotations(loaded->config, annotations);
  if (!out) return 0;
  // No annotation reaches what only the class may decide.
  coffer::check(
      out->config.hypervisor.tee == loaded->config.hypervisor.tee &&
          out->config.hypervisor.enable_annotations == loaded->config.hypervisor.enable_annotations,
      "an annotation opened the gate");
  if (const auto pod = pod_resources(annotations)) {
    (void)size_vm(out->config.hypervisor, *pod, 4, 4096);
  }
  return 0;
}

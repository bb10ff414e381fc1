// coffer-kbs's configuration: any text is a configuration or an error.

#include <cstddef>
#include <cstdint>

#include "attestation/kbs/config.h"
#include "base/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)coffer::kbs::parse_config(coffer::as_text({data, size}), "fuzz.toml", "/");
  return 0;
}

// cdh.toml of a tenant's initdata.
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "guest-agent/attester/cdh_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  const auto config = attester::parse_cdh_config(as_text(BytesView(data, size)));
  if (!config) {
    check(!config.error().message().empty(), "a refusal says why");
    return 0;
  }
  for (const auto& credential : config->credentials) {
    const auto path = credential.path.native();
    check(path.starts_with("/run/confidential-containers/cdh/kbs/") &&
              path.find("/../") == std::string::npos && !path.ends_with("/.."),
          "credentials stay in their folder");
  }
  return 0;
}

#include "attestation/guest_api/backend.h"

#include <fmt/format.h>

namespace coffer::guest_api {

Status check_event(const RuntimeEvent& event) {
  struct Part {
    const char* name;
    const std::string& text;
    bool blanks;
  };
  for (const auto& [name, text, blanks] :
       {Part{"domain", event.domain, false}, Part{"operation", event.operation, false},
        Part{"content", event.content, true}}) {
    if (text.find_first_of(blanks ? "\r\n" : " \r\n") != std::string::npos) {
      return fail(Code::kInvalidArgument,
                  fmt::format("event: '{}' has a {}", name, blanks ? "line break" : "blank"));
    }
  }
  return {};
}

Status check_runtime_data(BytesView data) {
  if (!data.empty() && data.size() <= kMaxRuntimeData) return {};
  return fail(Code::kInvalidArgument,
              fmt::format("runtime_data of {} bytes, want 1 to {}", data.size(), kMaxRuntimeData));
}

}  // namespace coffer::guest_api

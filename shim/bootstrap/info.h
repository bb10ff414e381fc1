// `-version` and `-info`: what this shim is.
#pragma once

#include <string>

namespace coffer::shim {

// As containerd's shims print it.
[[nodiscard]] std::string version_text();

// A serialized containerd.types.RuntimeInfo, for containerd 2.x.
[[nodiscard]] std::string runtime_info();

}  // namespace coffer::shim

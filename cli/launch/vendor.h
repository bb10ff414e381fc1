// The throwaway vendor of this host's emulated TEEs: kept, so that one verifier's trust in its root
// lasts from pod to pod.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "base/error.h"

namespace coffer::launch {

// The vendor's keys below FOLDER/TEE; made when they are not there (a year's validity), with
// root.pem and what else a verifier needs beside them. Several may ask at once.
[[nodiscard]] Result<nlohmann::json> load_vendor(const std::filesystem::path& folder,
                                                 std::string_view tee);

}  // namespace coffer::launch

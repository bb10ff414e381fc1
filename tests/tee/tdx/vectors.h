// The real and synthetic TDX vectors, outside of the tree; tests that need them are skipped by name
// when they are absent.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/bytes.h"
#include "tee/tdx/collateral_set.h"

namespace coffer::tdx {

inline std::filesystem::path vectors_dir() { return std::filesystem::path(COFFER_VECTORS) / "tdx"; }

[[nodiscard]] std::string vector_text(const std::string& relative);
[[nodiscard]] Bytes vector_bytes(const std::string& relative);
[[nodiscard]] nlohmann::json vector_json(const std::string& relative);

// The "files" of INDEX.json with that kind.
[[nodiscard]] std::vector<nlohmann::json> index_entries(const std::string& kind);

// From a case's "collateral" object; both spellings of the keys.
[[nodiscard]] CollateralInput vector_collateral(const nlohmann::json& files);
[[nodiscard]] TrustAnchors vector_anchors(const std::string& relative_pem);

}  // namespace coffer::tdx

#define COFFER_NEED_VECTORS()                          \
  if (!std::filesystem::exists(vectors_dir())) {       \
    GTEST_SKIP() << "no vectors at " << vectors_dir(); \
  }

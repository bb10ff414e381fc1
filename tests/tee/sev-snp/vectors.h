// The shared vectors of SEV-SNP, as tests read them.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/fd.h"
#include "base/json.h"
#include "tee/x509_bundle.h"

namespace coffer::snp {

inline std::filesystem::path vectors() { return std::filesystem::path(COFFER_VECTORS) / "snp"; }

inline Bytes load(const std::string& name) {
  const auto text = read_file(vectors() / name);
  EXPECT_TRUE(text) << name;
  return text ? to_bytes(*text) : Bytes{};
}

inline nlohmann::json load_json(const std::string& name) {
  const Bytes bytes = load(name);
  auto value = parse_json(as_text(bytes), name);
  EXPECT_TRUE(value) << name;
  return value ? *std::move(value) : nlohmann::json{};
}

inline void add_bundle(const std::string& name, std::vector<tee::Certificate>* certificates,
                       std::vector<tee::Crl>* crls = nullptr) {
  auto bundle = tee::parse_x509_bundle(load(name), name);
  ASSERT_TRUE(bundle) << bundle.error().to_string();
  for (auto& certificate : bundle->certificates) certificates->push_back(certificate);
  if (crls != nullptr) {
    for (auto& crl : bundle->crls) crls->push_back(crl);
  }
}

class Vectors : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(vectors())) GTEST_SKIP() << "no vectors at " << vectors();
  }
};

}  // namespace coffer::snp

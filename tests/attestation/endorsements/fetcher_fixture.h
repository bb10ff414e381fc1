// A store, a clock that the test moves, and fetchers over them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>

#include "attestation/endorsements/fetcher.h"

namespace coffer::testing {

class FetcherFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = (std::filesystem::temp_directory_path() / "coffer-fetch-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    restart();
  }
  void TearDown() override {
    fetcher_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  // As a new process would: only what lies in the store is left.
  void restart(endorsements::FetchLimits limits = {}) {
    fetcher_.reset();
    store_.reset();
    const auto clock = [this] { return now_.load(); };
    auto opened = store::open_store("sqlite:" + folder_ + "/s.db", {.clock = clock});
    ASSERT_TRUE(opened) << opened.error().to_string();
    store_ = *std::move(opened);
    fetcher_ =
        std::make_unique<endorsements::Fetcher>(*store_, endorsements::make_get(""), clock, limits);
  }

  std::string folder_;
  std::atomic<store::UnixTime> now_ = static_cast<store::UnixTime>(::time(nullptr));
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<endorsements::Fetcher> fetcher_;
};

}  // namespace coffer::testing

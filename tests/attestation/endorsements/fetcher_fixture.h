// A store, a clock that the test moves, and fetchers over them.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "attestation/endorsements/fetcher.h"
#include "tests/temp_dir.h"

namespace coffer::testing {

class FetcherFixture : public ::testing::Test {
 protected:
  void SetUp() override { restart(); }
  // As a new process would: only what lies in the store is left.
  void restart(endorsements::FetchLimits limits = {}) {
    fetcher_.reset();
    store_.reset();
    const auto clock = [this] { return now_.load(); };
    auto opened = store::open_store("sqlite:" + (dir_.path() / "s.db").native(), {.clock = clock});
    ASSERT_TRUE(opened) << opened.error().to_string();
    store_ = *std::move(opened);
    fetcher_ =
        std::make_unique<endorsements::Fetcher>(*store_, endorsements::make_get(""), clock, limits);
  }

  TempDir dir_;
  std::atomic<store::UnixTime> now_ = static_cast<store::UnixTime>(::time(nullptr));
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<endorsements::Fetcher> fetcher_;
};

}  // namespace coffer::testing

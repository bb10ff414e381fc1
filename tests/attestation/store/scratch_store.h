// An empty store for one test, removed with it.
#pragma once

#include <memory>
#include <utility>

#include "attestation/store/store.h"
#include "tests/temp_dir.h"

namespace coffer::testing {

class ScratchStore {
 public:
  explicit ScratchStore(const store::StoreOptions& options = {}) {
    auto opened = store::open_store("sqlite:" + (dir_.path() / "s.db").native(), options);
    check(opened.has_value(), "open a store for a test");
    store_ = *std::move(opened);
  }

  store::Store& operator*() const { return *store_; }
  store::Store* operator->() const { return store_.get(); }

 private:
  TempDir dir_;
  std::unique_ptr<store::Store> store_;
};

}  // namespace coffer::testing

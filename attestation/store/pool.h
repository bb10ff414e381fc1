// A few of something that one thread uses at a time: connections.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace coffer::store {

template <typename T>
class Pool {
 public:
  void add(std::unique_ptr<T> item) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(item));
    returned_.notify_one();
  }

  // Given back when the lease goes.
  class Lease {
   public:
    Lease(Pool& pool, std::unique_ptr<T> item) : pool_(&pool), item_(std::move(item)) {}
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() {
      if (item_ != nullptr) pool_->add(std::move(item_));
    }
    T& operator*() const { return *item_; }
    T* operator->() const { return item_.get(); }

   private:
    Pool* pool_;
    std::unique_ptr<T> item_;
  };

  // Nothing when none is free.
  [[nodiscard]] std::optional<Lease> try_take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::nullopt;
    auto item = std::move(free_.back());
    free_.pop_back();
    return std::optional<Lease>(std::in_place, *this, std::move(item));
  }

  // Waits until one is free.
  [[nodiscard]] Lease take() {
    std::unique_lock lock(mutex_);
    returned_.wait(lock, [this] { return !free_.empty(); });
    auto item = std::move(free_.back());
    free_.pop_back();
    return Lease(*this, std::move(item));
  }

 private:
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<T>> free_;
};

}  // namespace coffer::store

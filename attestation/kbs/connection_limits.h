// How much of the server strangers may hold at a time: connections, in all and of one address, and
// memory for the bodies of requests.
#pragma once

#include <array>
#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

namespace coffer::kbs {

// Thread-safe. A lease may outlive it.
class ConnectionLimits {
 public:
  // An IPv4 address (also one that IPv6 carries), or the 64 bits of a network of IPv6, of which one
  // customer has all.
  using Network = std::array<unsigned char, 9>;

  // 0: no limit.
  ConnectionLimits(std::size_t total, std::size_t per_address);

  class [[nodiscard]] Lease {
   public:
    Lease(Lease&& other) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease();
    // Whose place it is.
    [[nodiscard]] const Network& network() const { return network_; }

   private:
    friend class ConnectionLimits;
    struct State;
    Lease(std::shared_ptr<State> state, Network network)
        : state_(std::move(state)), network_(network) {}
    std::shared_ptr<State> state_;  // shared: with the limits and every other lease
    Network network_;
  };

  // Nothing: the limit is reached; `reason` then says which, "total" or "address".
  [[nodiscard]] std::optional<Lease> admit(const boost::asio::ip::address& address,
                                           std::string_view& reason);
  [[nodiscard]] std::size_t active() const;

 private:
  std::shared_ptr<Lease::State> state_;  // shared: a connection may end after the server
};

// Bytes of which each holder takes a part. Thread-safe; a lease may outlive it.
class MemoryBudget {
 public:
  using Network = ConnectionLimits::Network;

  // `per_network`: of which one network may hold no more.
  MemoryBudget(std::size_t bytes, std::size_t per_network);

  class [[nodiscard]] Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept
        : state_(std::move(other.state_)), bytes_(other.bytes_), network_(other.network_) {}
    Lease& operator=(Lease&& other) noexcept;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { release(); }

   private:
    friend class MemoryBudget;
    struct State;
    Lease(std::shared_ptr<State> state, std::size_t bytes, Network network)
        : state_(std::move(state)), bytes_(bytes), network_(network) {}
    void release();
    std::shared_ptr<State> state_;  // shared: with the budget and every other lease
    std::size_t bytes_ = 0;
    Network network_{};
  };

  // Nothing: there is not that much left, at all or for that network.
  [[nodiscard]] std::optional<Lease> take(std::size_t bytes, const Network& network);

 private:
  std::shared_ptr<Lease::State> state_;  // shared: a connection may end after the server
};

}  // namespace coffer::kbs

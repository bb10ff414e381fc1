#include "attestation/kbs/connection_limits.h"

#include <algorithm>

namespace coffer::kbs {

namespace ip = boost::asio::ip;

struct ConnectionLimits::Lease::State {
  std::size_t total, per_address;
  std::mutex mutex = {};
  std::size_t active = 0;
  std::map<Network, std::size_t> networks = {};  // no entry is zero: as many as connections at most
};

ConnectionLimits::ConnectionLimits(std::size_t total, std::size_t per_address)
    : state_(std::make_shared<Lease::State>(total, per_address)) {}

std::optional<ConnectionLimits::Lease> ConnectionLimits::admit(const ip::address& address,
                                                               std::string_view& reason) {
  Network network{};
  if (address.is_v4()) {
    network[0] = 4;
    std::ranges::copy(address.to_v4().to_bytes(), network.begin() + 1);
  } else if (address.to_v6().is_v4_mapped()) {
    network[0] = 4;
    std::ranges::copy(ip::make_address_v4(ip::v4_mapped, address.to_v6()).to_bytes(),
                      network.begin() + 1);
  } else {
    network[0] = 6;
    const auto bytes = address.to_v6().to_bytes();
    std::copy_n(bytes.begin(), 8, network.begin() + 1);
  }
  const std::lock_guard lock(state_->mutex);
  if (state_->total != 0 && state_->active >= state_->total) {
    reason = "total";
    return std::nullopt;
  }
  const auto at = state_->networks.find(network);
  const std::size_t mine = at == state_->networks.end() ? 0 : at->second;
  if (state_->per_address != 0 && mine >= state_->per_address) {
    reason = "address";
    return std::nullopt;
  }
  state_->networks[network] = mine + 1;
  ++state_->active;
  return Lease(state_, network);
}

std::size_t ConnectionLimits::active() const {
  const std::lock_guard lock(state_->mutex);
  return state_->active;
}

ConnectionLimits::Lease::~Lease() {
  if (state_ == nullptr) return;  // moved from
  const std::lock_guard lock(state_->mutex);
  --state_->active;
  const auto at = state_->networks.find(network_);
  if (--at->second == 0) state_->networks.erase(at);
}

struct MemoryBudget::Lease::State {
  std::size_t left, per_network;
  std::mutex mutex = {};
  std::map<Network, std::size_t> held = {};  // no entry is zero: as many as leases at most
};

MemoryBudget::MemoryBudget(std::size_t bytes, std::size_t per_network)
    : state_(std::make_shared<Lease::State>(bytes, per_network)) {}

std::optional<MemoryBudget::Lease> MemoryBudget::take(std::size_t bytes, const Network& network) {
  const std::lock_guard lock(state_->mutex);
  const auto at = state_->held.find(network);
  const std::size_t mine = at == state_->held.end() ? 0 : at->second;
  if (bytes == 0 || bytes > state_->left || mine > state_->per_network ||
      bytes > state_->per_network - mine) {
    return std::nullopt;
  }
  state_->left -= bytes;
  state_->held[network] = mine + bytes;
  return Lease(state_, bytes, network);
}

MemoryBudget::Lease& MemoryBudget::Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    release();
    state_ = std::move(other.state_);
    bytes_ = other.bytes_;
    network_ = other.network_;
  }
  return *this;
}

void MemoryBudget::Lease::release() {
  const auto state = std::move(state_);
  if (state == nullptr) return;
  const std::lock_guard lock(state->mutex);
  state->left += bytes_;
  const auto at = state->held.find(network_);
  at->second -= bytes_;
  if (at->second == 0) state->held.erase(at);
}

}  // namespace coffer::kbs

#include "rpc/ttrpc/router.h"

#include <utility>

namespace coffer::rpc {

void Router::add(std::string service, std::string method, UnaryHandler handler) {
  auto& slot = services_[std::move(service)][std::move(method)];
  check(!slot.unary && !slot.stream, "a ttrpc method was added twice");
  slot.unary = std::move(handler);
}

void Router::add_stream(std::string service, std::string method, StreamHandler handler) {
  auto& slot = services_[std::move(service)][std::move(method)];
  check(!slot.unary && !slot.stream, "a ttrpc method was added twice");
  slot.stream = std::move(handler);
}

const Router::Method* Router::find(std::string_view service, std::string_view method) const {
  const auto methods = services_.find(service);
  if (methods == services_.end()) return nullptr;
  const auto found = methods->second.find(method);
  return found == methods->second.end() ? nullptr : &found->second;
}

bool Router::knows_service(std::string_view service) const { return services_.contains(service); }

std::vector<std::pair<std::string, std::string>> Router::list() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [service, methods] : services_) {
    for (const auto& [method, handler] : methods) out.emplace_back(service, method);
  }
  return out;
}

}  // namespace coffer::rpc

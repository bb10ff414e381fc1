#include "base/secret.h"

#include <cstring>

namespace coffer {

void SecretBytes::wipe() {
  if (!bytes_.empty()) explicit_bzero(bytes_.data(), bytes_.size());
  bytes_.clear();
}

}  // namespace coffer

// The ttrpc services of CoCo's guest components over one backend. Methods that do not exist yet
// answer kUnimplemented and name what is missing. Unlike CoCo's, errors carry their own code and
// cause, not INTERNAL alone.
#pragma once

#include "attestation/guest_api/backend.h"
#include "rpc/ttrpc/router.h"

namespace coffer::guest_api {

// attestation_agent.AttestationAgentService. `initdata_digest` is of the initdata that this guest
// was bound to; empty: it has none. BindInitData compares with it. `backend` must outlive the
// router's calls.
void add_attestation_agent(rpc::Router& router, Backend& backend, Bytes initdata_digest);

// The confidential data hub's services: api.SealedSecretService, api.GetResourceService,
// api.SecureMountService, api.ImagePullService, keyprovider.KeyProviderService.
void add_data_hub(rpc::Router& router, Backend& backend);

}  // namespace coffer::guest_api

//! The examples are beside this file, each in a folder of its own: `resilient_billing` plays the
//! failover story, `own_service` links a service of one's own into a node. Nothing is in here.

"""Sample logs: a small storage service over some days, with incidents whose truth is known.

Where do I go to…
- change what the service does for its clients, and so what its logs say? `workflows.py`.
- change what it does of its own accord (repairs, scrubs, heartbeats)? `upkeep.py`.
- change what goes wrong? `incidents.py`.
- change the rhythm of the day, or the files? `simulation.py`.
"""

from services.simulator.simulation import Simulation, simulate

__all__ = ["Simulation", "simulate"]
